@filter FORWARD
-m state --state NEW,RELATED -j ACCEPT ; = ; ok
-m state ! --state INVALID -j ACCEPT ; = ; ok
-m state --state ESTABLISHED,RELATED,UNTRACKED -j ACCEPT ; -m state --state RELATED,ESTABLISHED,UNTRACKED -j ACCEPT ; ok
-m state --state DNAT -j ACCEPT ; ; fail
-m state -j ACCEPT ; ; fail
