"""`emulator describe`: all about an object, as kubectl tells it; a module for each kind that has a page of its own."""
