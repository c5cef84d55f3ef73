@mangle PREROUTING
-j TEE --gateway 10.0.0.1 ; = ; ok
-j TEE --gateway 10.0.0.1 --oif eth0 ; = ; ok
-p udp -j TEE --gateway 192.168.1.1 ; = ; ok
-j TEE --gateway 0.0.0.0 ; ; fail
-j TEE --oif eth0 ; ; fail
-j TEE ; ; fail
