@nat POSTROUTING
-j SNAT --to-source 1.2.3.4 ; = ; ok
-p tcp -j SNAT --to-source 1.2.3.4-1.2.3.6:1000-2000 --random ; = ; ok
-p tcp -j SNAT --to-source 1.2.3.4 --random-fully --persistent ; = ; ok
-p udp -j SNAT --to-source :1000-2000 ; = ; ok
-j SNAT --to-source 1.2.3.4:80 ; ; fail
-j SNAT ; ; fail
-p tcp -j SNAT --to-source 1.2.3.4:80-90/85 ; -p tcp -j SNAT --to-source 1.2.3.4:80-90/0 ; ok
-j SNAT --to-source 1.2.3.9-1.2.3.4 --persistent ; = ; ok
