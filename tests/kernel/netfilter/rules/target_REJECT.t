@filter FORWARD
-j REJECT ; -j REJECT --reject-with icmp-port-unreachable ; ok
-p tcp -j REJECT --reject-with tcp-reset ; = ; ok
-j REJECT --reject-with icmp-net-unreachable ; = ; ok
-j REJECT --reject-with icmp-host-unreachable ; = ; ok
-j REJECT --reject-with icmp-proto-unreachable ; = ; ok
-j REJECT --reject-with icmp-port-unreachable ; = ; ok
-j REJECT --reject-with icmp-net-prohibited ; = ; ok
-j REJECT --reject-with icmp-host-prohibited ; = ; ok
-j REJECT --reject-with icmp-admin-prohibited ; = ; ok
-j REJECT --reject-with net-unreach ; -j REJECT --reject-with icmp-net-unreachable ; ok
-j REJECT --reject-with admin-prohib ; -j REJECT --reject-with icmp-admin-prohibited ; ok
-j REJECT --reject-with tcp-reset ; ; fail
-j REJECT --reject-with nosuch ; ; fail
! -p tcp -j REJECT --reject-with tcp-reset ; ; fail
-j REJECT --reject-with icmp-admin ; -j REJECT --reject-with icmp-admin-prohibited ; ok
-j REJECT --reject-with NET-U ; -j REJECT --reject-with icmp-net-unreachable ; ok
-p tcp -j REJECT --reject-with tcp ; -p tcp -j REJECT --reject-with tcp-reset ; ok
-j REJECT --reject-with echo-reply ; ; fail
