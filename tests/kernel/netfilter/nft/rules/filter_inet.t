@inet type filter hook forward priority 0;
ip saddr 10.0.0.1 accept ; = ; ok
meta nfproto ipv4 ip saddr 10.0.0.1 accept ; ip saddr 10.0.0.1 accept ; ok
meta nfproto ipv4 accept ; = ; ok
meta nfproto ipv6 accept ; = ; ok
ip6 saddr ::1 accept ; = ; ok
ip6 saddr fe80::/10 tcp dport 80 accept ; = ; ok
tcp dport 80 accept ; = ; ok
ip protocol tcp accept ; = ; ok
icmp type echo-request accept ; = ; ok
icmpv6 type echo-request accept ; = ; ok
meta l4proto ipv6-icmp accept ; = ; ok
meta l4proto icmp icmp type echo-request accept ; icmp type echo-request accept ; ok
ip protocol icmp accept ; = ; ok
ip6 nexthdr tcp accept ; = ; ok
reject ; = ; ok
reject with icmpx port-unreachable ; reject ; ok
reject with icmpx type admin-prohibited ; reject with icmpx admin-prohibited ; ok
reject with icmpx host-unreachable ; = ; ok
reject with icmpx no-route ; = ; ok
reject with icmp port-unreachable ; = ; ok
reject with icmp host-unreachable ; = ; ok
reject with icmpv6 port-unreachable ; = ; ok
reject with icmpv6 type addr-unreachable ; reject with icmpv6 addr-unreachable ; ok
reject with tcp reset ; meta l4proto tcp reject with tcp reset ; ok
ip saddr 1.2.3.4 reject ; ip saddr 1.2.3.4 reject with icmp port-unreachable ; ok
ip saddr 1.2.3.4 reject with icmp host-unreachable ; = ; ok
ip saddr 1.2.3.4 tcp dport 80 accept ; = ; ok
ip saddr 1.2.3.4 udp dport vmap { 53 : accept } ; = ; ok
tcp dport 80 ip saddr 1.2.3.4 accept ; = ; ok
ether saddr 00:11:22:33:44:55 ip saddr 1.2.3.4 accept ; = ; ok
ip saddr . tcp dport { 1.2.3.4 . 80 } accept ; = ; ok
ip daddr @s4 accept ; = ; ok
meta protocol ip accept ; = ; ok
ct original ip saddr 1.2.3.4 accept ; = ; ok
ct original saddr 1.2.3.4 accept ; ; fail
fib daddr type local accept ; = ; ok
ip dscp cs1 accept ; = ; ok
meta nfproto vmap { ipv4 : accept, ipv6 : drop } ; = ; ok
ip protocol tcp tcp dport 80 ; = ; ok
meta l4proto tcp tcp dport 80 ; tcp dport 80 ; ok
meta nfproto ipv4 tcp dport 80 ip saddr 1.1.1.1 ; tcp dport 80 ip saddr 1.1.1.1 ; ok
ip saddr 1.1.1.1 meta nfproto ipv4 ; = ; ok
tcp dport 80 reject with tcp reset ; = ; ok
ip protocol tcp reject with tcp reset ; = ; ok
ip saddr 1.1.1.1 icmp type 8 ; ip saddr 1.1.1.1 icmp type echo-request ; ok
icmp type 8 ip saddr 1.1.1.1 ; icmp type echo-request ip saddr 1.1.1.1 ; ok
meta nfproto ipv4 icmp type 8 ; icmp type echo-request ; ok
ip daddr 1.1.1.1 reject with icmpx admin-prohibited ; = ; ok
ip saddr 1.1.1.1 meta l4proto udp udp dport 5 ; ip saddr 1.1.1.1 udp dport 5 ; ok
tcp dport { 1, 2 } udp sport 5 ; ; fail
ip saddr . ip daddr { 1.1.1.1 . 2.2.2.2 } ; = ; ok
meta nfproto ipv4 ip saddr . ip daddr { 1.1.1.1 . 2.2.2.2 } ; ip saddr . ip daddr { 1.1.1.1 . 2.2.2.2 } ; ok
ip saddr vmap { 1.1.1.1 : drop } ; = ; ok
meta protocol ip ip saddr 1.1.1.1 ; = ; ok
ether type ip ip saddr 1.1.1.1 ; ip saddr 1.1.1.1 ; ok
ip saddr 1.1.1.1 ip6 daddr ::1 ; ; fail
ip version 4 ; = ; ok
update @st { ip saddr } ; = ; ok
