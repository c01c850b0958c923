"""The import paths of earlier clients, for scripts that were written for them."""
