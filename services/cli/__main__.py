"""`python -m services.cli`: the same as `opsledger`."""

from services.cli import main

main()
