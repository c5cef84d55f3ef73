"""What the server fills in or refuses before an object is stored."""
