"""The shell: the only part that talks to a terminal."""
