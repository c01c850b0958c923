"""How fast the client is, beside what it is compared with. `make bench` runs it; README.md here says what it found."""
