package exchange

import (
	"net/http"
	"strconv"
	"strings"
)

// PageType is the content type of error pages.
const PageType = "text/html"

// ErrorPage returns the body of an answer of our own: nginx's page, which users and
// their tests know. With tokens the page names Pierhead instead. The bytes are
// shared and must not be changed.
func ErrorPage(status int, tokens bool) []byte {
	if status < firstPage || status > lastPage {
		return makePage(status, tokens)
	}
	if tokens {
		return pages[status-firstPage].named
	}
	return pages[status-firstPage].plain
}

const firstPage, lastPage = 300, 599

var pages = func() (t [lastPage - firstPage + 1]struct{ plain, named []byte }) {
	for i := range t {
		t[i].plain = makePage(firstPage+i, false)
		t[i].named = makePage(firstPage+i, true)
	}
	return t
}()

// nginxTitles are the titles that differ from the reason phrases of RFC 9110.
var nginxTitles = map[int]string{
	302: "302 Found",
	405: "405 Not Allowed",
	408: "408 Request Time-out",
	413: "413 Request Entity Too Large",
	414: "414 Request-URI Too Large",
	416: "416 Requested Range Not Satisfiable",
	494: "400 Request Header Or Cookie Too Large",
	495: "400 The SSL certificate error",
	496: "400 No required SSL certificate was sent",
	497: "400 The plain HTTP request was sent to HTTPS port",
	503: "503 Service Temporarily Unavailable",
	504: "504 Gateway Time-out",
}

func makePage(status int, tokens bool) []byte {
	title, ok := nginxTitles[status]
	if !ok {
		title = strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
	}
	signature := "nginx"
	if tokens {
		signature = "pierhead"
	}
	return []byte("<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n" +
		"<center><h1>" + title + "</h1></center>\r\n<hr><center>" + signature + "</center>\r\n</body>\r\n</html>\r\n")
}
