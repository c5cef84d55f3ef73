@security INPUT
-j SECMARK --selctx system_u:object_r:http_packet_t:s0 ; ; fail
-j SECMARK ; ; fail
