@filter FORWARD
-p sctp --dport 3868 -j ACCEPT ; -p sctp -m sctp --dport 3868 -j ACCEPT ; ok
-p sctp -m sctp ! --sport 1:5 -j ACCEPT ; = ; ok
! -p sctp -m sctp --dport 80 ; ; fail
