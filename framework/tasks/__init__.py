"""Lightning modules and what they need at test time, one module a stage of the method."""
