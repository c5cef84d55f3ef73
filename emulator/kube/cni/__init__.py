"""Network plugins: how pods of a node get their links and addresses, and how nodes reach each other's pods."""
