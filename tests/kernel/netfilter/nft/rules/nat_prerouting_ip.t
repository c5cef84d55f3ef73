@ip type nat hook prerouting priority -100;
dnat to 10.0.0.1 ; = ; ok
dnat to 10.0.0.1:80 ; ; fail
dnat ip to 10.0.0.1:80 ; ; fail
dnat to 10.0.0.1-10.0.0.9 ; = ; ok
dnat to 10.0.0.1-10.0.0.9:80-90 ; ; fail
tcp dport 80 dnat to 10.0.0.1:8080 ; = ; ok
tcp dport 80 dnat to :8080 ; = ; ok
meta l4proto tcp dnat to 10.0.0.1:80 ; = ; ok
ip protocol tcp dnat to 10.0.0.1:80 ; = ; ok
dnat to 10.0.0.1 random ; = ; ok
dnat to 10.0.0.1 random,persistent ; = ; ok
dnat to 10.0.0.1 fully-random ; = ; ok
dnat ip to numgen random mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 } ; dnat to numgen random mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 } ; ok
dnat to numgen inc mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 } ; = ; ok
meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 81 } ; = ; ok
tcp dport 80 dnat ip addr . port to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 81 } ; tcp dport 80 dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 81 } ; ok
dnat ip to ip saddr map @dm ; ; fail
meta l4proto tcp dnat ip to ip daddr map @dm ; = ; ok
meta l4proto tcp dnat ip addr . port to ip daddr map @dm ; meta l4proto tcp dnat ip to ip daddr map @dm ; ok
dnat to ip daddr map { 10.0.0.1 : 10.0.0.2 } ; = ; ok
meta l4proto tcp dnat to jhash ip saddr mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }:80 ; = ; ok
tcp dport 80 redirect ; = ; ok
tcp dport 80 redirect to :8080 ; = ; ok
tcp dport 80 redirect to 8080 ; tcp dport 80 redirect to :8080 ; ok
tcp dport 80 redirect to :8080-8090 ; = ; ok
meta l4proto tcp redirect to :80 random ; = ; ok
redirect ; = ; ok
ip daddr 10.0.0.1 tcp dport 80 counter dnat to 10.0.0.2:80 comment "x" ; ip daddr 10.0.0.1 tcp dport 80 counter packets 0 bytes 0 dnat to 10.0.0.2:80 comment "x" ; ok
fib daddr type local jump uc ; = ; ok
ip daddr . meta l4proto . th dport vmap @vm ; ; fail
ip daddr . meta l4proto . th dport vmap { 10.0.0.1 . tcp . 80 : goto uc } ; = ; ok
tproxy to :80 ; ; fail
dnat prefix to ip daddr map { 10.0.0.0/24 : 10.1.0.0/24 } ; dnat ip prefix to ip daddr map { 10.0.0.0/24 : 10.1.0.0/24 } ; unsupported
