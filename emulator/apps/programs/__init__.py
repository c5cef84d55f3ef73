"""Built-in programs, one an image; each has `main(container, *, task_status)`, found by images.py."""
