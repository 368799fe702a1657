"""Published question sets on disk -> items to ask a model, with what is known of the right answers. Loads no torch."""
