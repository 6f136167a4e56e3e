"""What the end-to-end tests stand on: real processes, scratch directories, no fixed ports, no sleeping for luck."""
