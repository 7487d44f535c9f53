"""Sockets and HTTP, in and out, thin. What an HTTP status, a socket, a timeout is, is known here and nowhere else."""
