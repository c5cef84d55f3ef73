@ip type nat hook postrouting priority 100;
snat to 10.0.0.1 ; = ; ok
snat to 10.0.0.1:1000-2000 ; ; fail
tcp dport 80 snat to 10.0.0.1:1000-2000 ; = ; ok
snat to 10.0.0.1-10.0.0.9 ; = ; ok
snat to 10.0.0.1 fully-random ; = ; ok
masquerade ; = ; ok
masquerade fully-random ; = ; ok
masquerade random ; = ; ok
masquerade random,fully-random ; = ; ok
masquerade persistent ; = ; ok
masquerade to :1000-2000 ; ; fail
tcp dport 80 masquerade to :1000 ; = ; ok
meta l4proto tcp masquerade to :1000-2000 fully-random ; = ; ok
mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random ; meta mark & 0x00004000 != 0x00000000 meta mark set meta mark ^ 0x00004000 masquerade fully-random ; ok
oifname "eth0" masquerade ; = ; ok
snat to ip saddr map { 10.0.0.1 : 1.2.3.4 } ; = ; ok
ip saddr . ip daddr . meta l4proto . th dport { 10.0.0.1 . 10.0.0.2 . tcp . 80 } masquerade fully-random ; = ; ok
