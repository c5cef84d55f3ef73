@filter OUTPUT
-m mac --mac-source 00:11:22:33:44:55 ; ; fail
-j CH ; = ; ok
