"""The speed of the client, compared with other clients: `make bench`. README.md in this folder has the results."""
