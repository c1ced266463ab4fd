"""The conductor: wires parser, planner, executor and storage into one database."""
