@filter FORWARD
-m comment --comment hello -j ACCEPT ; = ; ok
-m comment --comment "ns/svc:p cluster IP" -j ACCEPT ; = ; ok
-m comment --comment "a\"b'c\\d" -j ACCEPT ; -m comment --comment "a\"b\'c\\d" -j ACCEPT ; ok
-m comment --comment "" -j ACCEPT ; = ; ok
-m comment --comment a_b-c -j ACCEPT ; = ; ok
-m comment --comment default/web -j ACCEPT ; -m comment --comment "default/web" -j ACCEPT ; ok
-m comment --comment 'single quotes' -j ACCEPT ; ; fail
-m comment -j ACCEPT ; ; fail
-m comment --comment xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ; -m comment --comment xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ; ok
