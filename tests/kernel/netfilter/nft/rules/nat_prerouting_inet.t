@inet type nat hook prerouting priority -100;
dnat ip to 10.0.0.1:80 ; ; fail
dnat to 10.0.0.1 ; ; fail
ip daddr 1.2.3.4 tcp dport 80 dnat to 10.0.0.1:80 ; ip daddr 1.2.3.4 tcp dport 80 dnat ip to 10.0.0.1:80 ; ok
tcp dport 80 dnat ip to 10.0.0.1:80 ; = ; ok
redirect to :80 ; ; fail
tcp dport 80 dnat ip addr . port to numgen random mod 1 map { 0 : 1.2.3.4 . 80 } ; tcp dport 80 dnat ip to numgen random mod 1 map { 0 : 1.2.3.4 . 80 } ; ok
tcp dport 80 redirect to :80 ; = ; ok
