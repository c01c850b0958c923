"""`python -m gradient_cli`: the command line, where its script is not on the PATH."""

from gradient_cli import main

if __name__ == "__main__":
    main()
