"""The supervisor: everything Pairkeeper needs, as child processes of one command. No Django here."""
