"""Where packets go: routes in tables, the policy rules that pick a table, and the decision for one packet."""
