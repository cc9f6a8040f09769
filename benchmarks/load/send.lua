-- One send request of about 1 KB for wrk; OPENSEND_KEY is the token.
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("OPENSEND_KEY")
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"from":"Ada <ada@bench.example>","to":["friend@example.com"],"subject":"Your receipt","text":"'
  .. string.rep("Thank you for your order. ", 33) .. '"}'
