package diagnose

import "testing"

// ENOTFOUND is a word of Node.js. Other words only end like it.
func TestNotFoundIsNoName(t *testing.T) {
	engine, err := New(nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]bool{
		"Error: getaddrinfo ENOTFOUND postgres":                            true,
		"code: 'ENOTFOUND',":                                               true,
		"FetchError: reason: enotfound api.shop":                           true,
		"ModuleNotFoundError: No module named 'flask'":                     false,
		"System.IO.FileNotFoundException: /app/settings.json":              false,
		"FileNotFoundError: [Errno 2] No such file: 'config.yaml'":         false,
		"software.amazon.awssdk ResourceNotFoundException: table not here": false,
	} {
		named := false
		for _, hits := range engine.scanner.scan(NewLog("test", []byte(line+"\n"))) {
			for _, h := range hits {
				named = named || h.Pattern == failedName
			}
		}
		if named != want {
			t.Errorf("%q: a name that does not resolve: %v, want %v", line, named, want)
		}
	}
}
