"""nftables: tables of chains, rules, sets and maps, read and printed as nft(8) does, walked as the kernel does."""
