@filter FORWARD
-j AUDIT --type accept ; = ; ok
-j AUDIT --type DROP ; -j AUDIT --type drop ; ok
-j AUDIT --type reject ; = ; ok
-j AUDIT --type log ; ; fail
-j AUDIT ; ; fail
