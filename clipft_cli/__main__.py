"""`python -m clipft_cli` is `clipft`."""

from .cli.entry import main

if __name__ == "__main__":
    main()
