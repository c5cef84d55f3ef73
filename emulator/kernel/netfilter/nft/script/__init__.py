"""Reading nft's scripts: words, declarations, rules, elements and commands, each with its place for an error."""
