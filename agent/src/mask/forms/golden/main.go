package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"os"
	"strings"
)

func main() {
	values := []string{
		"hunter22-plain", "it's \"quoted\" & <b>$HOME</b> \\ `id` 100%!", "Pässwörd–ß€𝄞 ümläut", "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA1234\nabcd/efgh+ijkl==\n-----END KEY-----\n", "tab\there \x01\x1b[0m \x7f end", "a/b?c=d&e=f g+h~i",
	}
	out := []map[string]string{}
	for _, v := range values {
		j, _ := json.Marshal(v)
		jj, _ := json.Marshal(string(j))
		var x strings.Builder
		xml.EscapeText(&x, []byte(v))
		out = append(out, map[string]string{
			"value": v, "%q": fmt.Sprintf("%q", v), "json": string(j), "json twice": string(jj),
			"html": html.EscapeString(v), "xml": x.String(), "query": url.QueryEscape(v), "path": url.PathEscape(v),
		})
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	e.Encode(out)
}
