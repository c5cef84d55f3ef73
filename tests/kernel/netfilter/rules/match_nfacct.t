@filter FORWARD
-m nfacct --nfacct-name nosuch ; ; fail
-m nfacct ; ; fail
