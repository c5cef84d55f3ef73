@filter FORWARD
-j IDLETIMER --timeout 600 --label wlan ; = ; ok
-j IDLETIMER --timeout 5 --label x --alarm ; = ; ok
-j IDLETIMER --timeout 0 --label y ; ; fail
-j IDLETIMER --timeout 5 --label "" ; ; fail
-j IDLETIMER --timeout 5 ; ; fail
-j IDLETIMER --label x ; ; fail
-j IDLETIMER ; ; fail
