@nat PREROUTING
-d 1.2.3.0/24 -j NETMAP --to 5.6.7.0/24 ; = ; ok
-d 1.2.3.0/24 -j NETMAP --to 5.6.7.8 ; -d 1.2.3.0/24 -j NETMAP --to 5.6.7.8/32 ; ok
-j NETMAP --to 5.6.7.9/255.255.255.0 ; -j NETMAP --to 5.6.7.0/24 ; ok
-j NETMAP --to 5.6.7.0/0 ; -j NETMAP --to 0.0.0.0/0 ; ok
-j NETMAP --to 1.2.3.4/33 ; -j NETMAP --to 1.2.3.4/32 ; ok
-j NETMAP --to 5.6.7.0/255.255.0.255 ; -j NETMAP --to 5.6.7.0/32 ; ok
-j NETMAP ; ; fail
-j NETMAP --to 10.0.0.0/8 --to 11.0.0.0/8 ; ; fail
