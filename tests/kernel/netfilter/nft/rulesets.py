"""Whole rule sets: every form of table, set and chain, kube-proxy's own table, and that of a common host."""

from __future__ import annotations

# The texts are as kube-proxy (pkg/proxy/nftables) gives them to nft, with addresses of the tests' router.
# ruff: noqa: E501

KUBE_PROXY = r"""
add table ip kube-proxy { comment "rules for kube-proxy" ; }
add set ip kube-proxy cluster-ips { type ipv4_addr ; comment "Active ClusterIPs" ; }
add set ip kube-proxy nodeport-ips { type ipv4_addr ; comment "IPs that accept NodePort traffic" ; }
add map ip kube-proxy firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict ; comment "destinations that are subject to LoadBalancerSourceRanges" ; }
add map ip kube-proxy no-endpoint-nodeports { type inet_proto . inet_service : verdict ; comment "vmap to drop or reject packets to service nodeports with no endpoints" ; }
add map ip kube-proxy no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict ; comment "vmap to drop or reject packets to services with no endpoints" ; }
add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; comment "ClusterIP, ExternalIP and LoadBalancer IP traffic" ; }
add map ip kube-proxy service-nodeports { type inet_proto . inet_service : verdict ; comment "NodePort traffic" ; }
add chain ip kube-proxy cluster-ips-check
add chain ip kube-proxy filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }
add chain ip kube-proxy filter-output-pre-dnat { type filter hook output priority -110 ; }
add chain ip kube-proxy filter-forward { type filter hook forward priority 0 ; }
add chain ip kube-proxy filter-input { type filter hook input priority 0 ; }
add chain ip kube-proxy filter-output { type filter hook output priority 0 ; }
add chain ip kube-proxy firewall-check
add chain ip kube-proxy mark-for-masquerade
add chain ip kube-proxy masquerading
add chain ip kube-proxy nat-output { type nat hook output priority -100 ; }
add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority 100 ; }
add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority -100 ; }
add chain ip kube-proxy nodeport-endpoints-check
add chain ip kube-proxy reject-chain { comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }
add chain ip kube-proxy services
add chain ip kube-proxy service-endpoints-check
add rule ip kube-proxy cluster-ips-check ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
add rule ip kube-proxy cluster-ips-check ip daddr { 172.30.0.0/16 } drop comment "Drop traffic to unallocated ClusterIPs"
add rule ip kube-proxy filter-prerouting-pre-dnat ct state new jump firewall-check
add rule ip kube-proxy filter-forward ct state new jump service-endpoints-check
add rule ip kube-proxy filter-forward ct state new jump cluster-ips-check
add rule ip kube-proxy filter-input ct state new jump nodeport-endpoints-check
add rule ip kube-proxy filter-input ct state new jump service-endpoints-check
add rule ip kube-proxy filter-output ct state new jump service-endpoints-check
add rule ip kube-proxy filter-output-pre-dnat ct state new jump firewall-check
add rule ip kube-proxy filter-output ct state new jump cluster-ips-check
add rule ip kube-proxy firewall-check ip daddr . meta l4proto . th dport vmap @firewall-ips
add rule ip kube-proxy mark-for-masquerade mark set mark or 0x4000
add rule ip kube-proxy masquerading mark and 0x4000 == 0 return
add rule ip kube-proxy masquerading mark set mark xor 0x4000
add rule ip kube-proxy masquerading masquerade fully-random
add rule ip kube-proxy nat-output jump services
add rule ip kube-proxy nat-postrouting jump masquerading
add rule ip kube-proxy nat-prerouting jump services
add rule ip kube-proxy nodeport-endpoints-check ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
add rule ip kube-proxy reject-chain reject
add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips
add rule ip kube-proxy services ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
add element ip kube-proxy nodeport-ips { 10.0.1.1 }
add rule ip kube-proxy service-endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoint-services
add chain ip kube-proxy endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.0.2.2/80
add chain ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80
add rule ip kube-proxy endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.0.2.2/80 ip saddr 10.0.2.2 jump mark-for-masquerade
add rule ip kube-proxy endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.0.2.2/80 meta l4proto tcp dnat to 10.0.2.2:80
add rule ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80 ip daddr 172.30.0.41 ip saddr != 10.0.1.0/24 jump mark-for-masquerade
add rule ip kube-proxy service-ULMVA6XW-ns1/svc1/tcp/p80 numgen random mod 1 vmap { 0 : goto endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.0.2.2/80 }
add element ip kube-proxy cluster-ips { 172.30.0.41 }
add element ip kube-proxy service-ips { 172.30.0.41 . tcp . 80 : goto service-ULMVA6XW-ns1/svc1/tcp/p80 }
add chain ip kube-proxy endpoint-UEIP74TE-ns3/svc3/tcp/p80__10.0.2.3/80
add chain ip kube-proxy service-4AT6LBPK-ns3/svc3/tcp/p80
add rule ip kube-proxy endpoint-UEIP74TE-ns3/svc3/tcp/p80__10.0.2.3/80 ip saddr 10.0.2.3 jump mark-for-masquerade
add rule ip kube-proxy endpoint-UEIP74TE-ns3/svc3/tcp/p80__10.0.2.3/80 meta l4proto tcp dnat to 10.0.2.3:80
add rule ip kube-proxy service-4AT6LBPK-ns3/svc3/tcp/p80 ip daddr 172.30.0.43 ip saddr != 10.0.1.0/24 jump mark-for-masquerade
add rule ip kube-proxy service-4AT6LBPK-ns3/svc3/tcp/p80 numgen random mod 1 vmap { 0 : goto endpoint-UEIP74TE-ns3/svc3/tcp/p80__10.0.2.3/80 }
add element ip kube-proxy cluster-ips { 172.30.0.43 }
add element ip kube-proxy service-ips { 172.30.0.43 . tcp . 80 : goto service-4AT6LBPK-ns3/svc3/tcp/p80 }
add chain ip kube-proxy external-4AT6LBPK-ns3/svc3/tcp/p80
add rule ip kube-proxy external-4AT6LBPK-ns3/svc3/tcp/p80 jump mark-for-masquerade
add rule ip kube-proxy external-4AT6LBPK-ns3/svc3/tcp/p80 goto service-4AT6LBPK-ns3/svc3/tcp/p80
add element ip kube-proxy service-nodeports { tcp . 3003 : goto external-4AT6LBPK-ns3/svc3/tcp/p80 }
add chain ip kube-proxy endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80
add set ip kube-proxy affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80 { type ipv4_addr ; flags dynamic,timeout ; timeout 10800s ; }
add chain ip kube-proxy service-HVFWP5L3-ns5/svc5/tcp/p80
add rule ip kube-proxy endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80 ip saddr 10.0.2.4 jump mark-for-masquerade
add rule ip kube-proxy endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80 update @affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80 { ip saddr }
add rule ip kube-proxy endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80 meta l4proto tcp dnat to 10.0.2.4:80
add rule ip kube-proxy service-HVFWP5L3-ns5/svc5/tcp/p80 ip daddr 172.30.0.45 ip saddr != 10.0.1.0/24 jump mark-for-masquerade
add rule ip kube-proxy service-HVFWP5L3-ns5/svc5/tcp/p80 ip saddr @affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80 goto endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80
add rule ip kube-proxy service-HVFWP5L3-ns5/svc5/tcp/p80 numgen random mod 1 vmap { 0 : goto endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.0.2.4/80 }
add element ip kube-proxy cluster-ips { 172.30.0.45 }
add element ip kube-proxy service-ips { 172.30.0.45 . tcp . 80 : goto service-HVFWP5L3-ns5/svc5/tcp/p80 }
add chain ip kube-proxy external-HVFWP5L3-ns5/svc5/tcp/p80
add rule ip kube-proxy external-HVFWP5L3-ns5/svc5/tcp/p80 jump mark-for-masquerade
add rule ip kube-proxy external-HVFWP5L3-ns5/svc5/tcp/p80 goto service-HVFWP5L3-ns5/svc5/tcp/p80
add element ip kube-proxy service-ips { 5.6.7.8 . tcp . 80 : goto external-HVFWP5L3-ns5/svc5/tcp/p80 }
add element ip kube-proxy service-nodeports { tcp . 3002 : goto external-HVFWP5L3-ns5/svc5/tcp/p80 }
add chain ip kube-proxy firewall-HVFWP5L3-ns5/svc5/tcp/p80
add rule ip kube-proxy firewall-HVFWP5L3-ns5/svc5/tcp/p80 ip saddr != { 10.0.3.0/29 } drop
add element ip kube-proxy firewall-ips { 5.6.7.8 . tcp . 80 : goto firewall-HVFWP5L3-ns5/svc5/tcp/p80 }
add chain ip kube-proxy endpoint-SGOXE6O3-ns2/svc2/tcp/p80__10.0.2.5/80
add chain ip kube-proxy service-42NFTM6N-ns2/svc2/tcp/p80
add rule ip kube-proxy endpoint-SGOXE6O3-ns2/svc2/tcp/p80__10.0.2.5/80 ip saddr 10.0.2.5 jump mark-for-masquerade
add rule ip kube-proxy endpoint-SGOXE6O3-ns2/svc2/tcp/p80__10.0.2.5/80 meta l4proto tcp dnat to 10.0.2.5:80
add rule ip kube-proxy service-42NFTM6N-ns2/svc2/tcp/p80 ip daddr 172.30.0.42 ip saddr != 10.0.1.0/24 jump mark-for-masquerade
add rule ip kube-proxy service-42NFTM6N-ns2/svc2/tcp/p80 numgen random mod 1 vmap { 0 : goto endpoint-SGOXE6O3-ns2/svc2/tcp/p80__10.0.2.5/80 }
add element ip kube-proxy cluster-ips { 172.30.0.42 }
add element ip kube-proxy service-ips { 172.30.0.42 . tcp . 80 : goto service-42NFTM6N-ns2/svc2/tcp/p80 }
add chain ip kube-proxy external-42NFTM6N-ns2/svc2/tcp/p80
add rule ip kube-proxy external-42NFTM6N-ns2/svc2/tcp/p80 ip saddr 10.0.1.0/24 goto service-42NFTM6N-ns2/svc2/tcp/p80 comment "short-circuit pod traffic"
add rule ip kube-proxy external-42NFTM6N-ns2/svc2/tcp/p80 fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"
add rule ip kube-proxy external-42NFTM6N-ns2/svc2/tcp/p80 fib saddr type local goto service-42NFTM6N-ns2/svc2/tcp/p80 comment "short-circuit local traffic"
add element ip kube-proxy service-ips { 1.2.3.4 . tcp . 80 : goto external-42NFTM6N-ns2/svc2/tcp/p80 }
add element ip kube-proxy service-nodeports { tcp . 3001 : goto external-42NFTM6N-ns2/svc2/tcp/p80 }
add element ip kube-proxy no-endpoint-nodeports { tcp . 3001 comment "ns2/svc2:p80" : drop }
add element ip kube-proxy no-endpoint-services { 1.2.3.4 . tcp . 80 comment "ns2/svc2:p80" : drop }
add element ip kube-proxy cluster-ips { 172.30.0.46 }
add element ip kube-proxy no-endpoint-services { 172.30.0.46 . tcp . 80 comment "ns6/svc6:p80" : goto reject-chain }
"""

FORMS = r"""
table ip kube-proxy {
  comment "rules for kube-proxy"
  set cluster-ips { type ipv4_addr; comment "Active ClusterIPs"; elements = { 172.30.0.43, 172.30.0.41, 172.30.0.42, 172.30.1.1, 172.30.2.1,172.30.3.1 } }
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; comment "x" ; }
  map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
  set affinity-X-ns1/svc1/tcp/p80__10.0.0.1/80 { type ipv4_addr; flags dynamic,timeout; timeout 10800s; }
  set iv { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 1.2.3.4, 5.6.7.8-5.6.7.20, 172.16.0.0/12 comment "hi" } }
  set am { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/24, 10.0.1.0/24 } }
  set ci { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 80, 1.1.1.1 . 80-90 , 2.2.2.2-2.2.2.5 . 1-65535} }
  set tp { typeof ip saddr . tcp dport . meta mark; elements = { 1.1.1.1 . 80 . 5 } }
  set to { type ipv4_addr; timeout 1h; elements = { 1.1.1.1, 2.2.2.2 timeout 30s, 3.3.3.3 timeout 1h expires 10m comment "c" } }
  set cs { type ipv4_addr; counter; elements = { 1.1.1.1 counter packets 5 bytes 6, 2.2.2.2 comment "abc" } }
  set cc { type inet_service; flags constant; size 100; elements = { 1,2,80 } }
  set gc { type ipv4_addr; flags timeout; gc-interval 10s; policy memory; }
  set ifs { type ifname; elements = { "eth0", "lo" } }
  set mk { type mark; elements = { 1, 5, 0x100 } }
  map mi { type ipv4_addr : mark; flags interval; elements = { 10.0.0.0/8 : 5, 1.2.3.4 : 6 } }
  map md { type ipv4_addr : ipv4_addr . inet_service; elements = { 1.1.1.1 : 2.2.2.2 . 80 } }
  map mt { typeof ip daddr : meta mark; elements = { 1.1.1.1 : 5 } }
  map mc { type ipv4_addr : counter; elements = { 1.1.1.1 : "c1" } }
  set empty { type ipv4_addr; }
  set long { type ipv4_addr . inet_proto . inet_service; elements = { 1.1.1.1 . tcp . 80, 1.1.1.2 . udp . 53, 1.1.1.3 . 6 . 5, 1.1.1.4 . sctp . 5 } }
  counter c1 { packets 5 bytes 6 comment "z" }
  counter c2 { }
  chain ch { comment "hello"; }
  chain empty2 { }
  chain base { type filter hook input priority filter; policy drop; }
  chain base2 { type filter hook input priority filter - 5; policy accept; tcp dport 80 accept; }
  chain base3 { type nat hook prerouting priority dstnat + 3; }
  chain base4 { type nat hook postrouting priority srcnat; }
  chain base5 { type route hook output priority mangle; }
  chain base6 { type filter hook prerouting priority raw; }
  chain base7 { type filter hook prerouting priority -110; }
  chain base8 { type filter hook prerouting priority -100; }
  chain base9 { type filter hook prerouting priority -111; }
  chain base10 { type filter hook input priority security; }
  chain base11 { type filter hook input priority 5000; comment "base" ; }
  chain service-ULMVA6XW-ns1/svc1/tcp/p80 { ip daddr 1.1.1.1 jump ch ; numgen random mod 1 vmap { 0 : goto ch } comment "foo" ; ip daddr { 1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7 } drop; }
}
add element ip kube-proxy service-ips { 172.30.0.41 . tcp . 80 : goto service-ULMVA6XW-ns1/svc1/tcp/p80, 172.30.0.40 . 17 . 80 : drop, 10.0.0.1 . 6 . 443 comment "x" : jump ch }
add table ip6 six
add set ip6 six s { type ipv6_addr; }
add element ip6 six s { fe80::1, ::1 }
# = { fe80::1, ::1 } ; }
add table inet dorm { flags dormant; chain x { type filter hook input priority 0; }; }
add chain ip kube-proxy late
"""

HOST = r"""
define LAN = { 10.0.1.0/24, 10.0.3.0/24 }
define PORTS = { 22, 80, 443 }
flush ruleset
table inet filter {
	counter dropped { comment "all that went" }
	set blocked { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.0/25, 192.0.2.128/25, 198.51.100.7 } }
	set seen {
		type ipv4_addr
		size 128
		flags dynamic, timeout
		timeout 5m
	}
	chain input {
		type filter hook input priority filter; policy drop;
		ct state vmap { invalid : drop, established : accept, related : accept }
		iifname "lo" accept
		ip saddr $LAN tcp dport $PORTS accept
		ip saddr @blocked counter name "dropped" drop
		meta l4proto { icmp, ipv6-icmp } limit rate 10/second accept
		add @seen { ip saddr } log prefix "in: " counter
		reject with icmpx admin-prohibited
	}
	chain forward { type filter hook forward priority filter; policy accept; }
	chain output { type filter hook output priority filter + 5; policy accept; ip daddr 224.0.0.0/4 accept; }
}
table ip nat {
	map forwards { type inet_service : ipv4_addr . inet_service; elements = { 8080 : 10.0.2.2 . 80, 8443 : 10.0.2.3 . 443 } }
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifname "a" dnat ip to tcp dport map @forwards
		tcp dport 2222 redirect to :22
	}
	chain postrouting { type nat hook postrouting priority srcnat; policy accept; oifname "c" masquerade random; }
}
table ip6 filter6 {
	chain input { type filter hook input priority filter; policy accept; ip6 saddr fe80::/10 icmpv6 type echo-request accept; ip6 daddr { ::1, fe80::1 } drop; }
}
"""

RULESETS = {"kube-proxy": KUBE_PROXY, "forms": FORMS, "host": HOST}
