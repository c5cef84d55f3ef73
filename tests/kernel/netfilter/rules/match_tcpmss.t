@filter FORWARD
-p tcp -m tcpmss --mss 500:600 ; = ; ok
-p tcp -m tcpmss ! --mss 500 -j DROP ; = ; ok
-p tcp -m tcpmss ! --mss 500:600 ; = ; ok
-p tcp -m tcpmss --mss :600 ; -p tcp -m tcpmss --mss 0:600 ; ok
-p tcp -m tcpmss --mss 600: ; -p tcp -m tcpmss --mss 600:65535 ; ok
-p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 1461:65535 ; = ; ok
-p tcp -m tcpmss --mss 600:500 ; ; fail
-p tcp -m tcpmss --mss 65536 ; ; fail
-p tcp -m tcpmss ; ; fail
! -p tcp -m tcpmss --mss 5 ; ; fail
-p udp -m tcpmss --mss 5 ; ; fail
-m tcpmss --mss 500 ; ; fail
