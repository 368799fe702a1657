"""One package a domain. The registry imports the one that is asked for."""
