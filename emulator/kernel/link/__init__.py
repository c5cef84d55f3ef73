"""Links: where frames enter and leave a namespace (drivers/net, net/bridge); one file a kind, and what bridges need."""
