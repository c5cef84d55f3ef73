@mangle FORWARD
-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu ; -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu ; ok
-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400 ; -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400 ; ok
-p udp -j TCPMSS --set-mss 1400 ; ; fail
-p tcp --syn -j TCPMSS ; ; fail
-p tcp -j TCPMSS --set-mss 5 --clamp-mss-to-pmtu ; -p tcp -j TCPMSS --clamp-mss-to-pmtu ; ok
-p tcp -j TCPMSS --clamp-mss-to-pmtu --set-mss 0 ; -p tcp -j TCPMSS --set-mss 0 ; ok
-p tcp -j TCPMSS --set-mss 65516 ; ; fail
