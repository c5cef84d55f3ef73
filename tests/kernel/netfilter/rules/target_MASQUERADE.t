@nat POSTROUTING
-j MASQUERADE ; = ; ok
-j MASQUERADE --random-fully ; = ; ok
-p tcp -j MASQUERADE --to-ports 1000-2000 --random ; = ; ok
-p tcp -j MASQUERADE --to-ports 1000 ; = ; ok
-j MASQUERADE --to-ports 1000 ; ; fail
-s 10.244.0.0/16 ! -o cbr0 -j MASQUERADE ; = ; ok
-p udp -j MASQUERADE --to-ports 80-90/85 ; -p udp -j MASQUERADE --to-ports 80-90/0 ; ok
-p udp -j MASQUERADE --to-ports 80/85 ; ; fail
-p udp -j MASQUERADE --to-ports 80:90 ; ; fail
