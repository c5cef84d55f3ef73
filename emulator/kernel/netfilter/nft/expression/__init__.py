"""What rules read: of the packet, its connection, the routing tables, sets and maps, and numbers made for it."""
