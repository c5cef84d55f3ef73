@filter FORWARD
-m helper --helper ftp ; = ; ok
-m helper ! --helper ftp-2121 -j DROP ; = ; ok
-m helper --helper nosuch ; = ; ok
-m helper ; ; fail
