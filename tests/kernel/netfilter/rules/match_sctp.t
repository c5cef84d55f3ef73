@filter FORWARD
-p sctp --dport 3868 -j ACCEPT ; -p sctp -m sctp --dport 3868 -j ACCEPT ; ok
-p sctp -m sctp ! --sport 1:5 -j ACCEPT ; = ; ok
! -p sctp -m sctp --dport 80 ; ; fail
-p sctp --chunk-types any DATA:Be,INIT ; -p sctp -m sctp --chunk-types any DATA:Be,INIT ; ok
-p sctp ! --chunk-types all FORWARD_TSN,ASCONF_ACK ; -p sctp -m sctp ! --chunk-types all ASCONF_ACK,FORWARD_TSN ; ok
-p sctp -m sctp --sport 1 --chunk-types only ALL ; = ; ok
-p sctp -m sctp --chunk-types only none ; -p sctp -m sctp --chunk-types only NONE ; ok
-p sctp -m sctp --chunk-types ANY data:UuBbEeIi,ABORT:T ; -p sctp -m sctp --chunk-types any DATA:IUBE,ABORT:T ; ok
-p sctp -m sctp --chunk-types any I_DATA,RE_CONFIG,PAD,ASCONF,I_FORWARD_TSN ; = ; ok
-p sctp -m sctp --chunk-types any foo ; ; fail
-p sctp -m sctp --chunk-types foo DATA ; ; fail
-p sctp -m sctp --chunk-types any INIT:B ; ; fail
-p sctp -m sctp --dport 5:1 ; ; fail
-p udp -m sctp --dport 5 ; ; fail
