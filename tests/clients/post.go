// Posts a photo by net/http and mime/multipart.
// usage: go run post.go URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
package main

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	url, key, organization, photo, output := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	check(form.WriteField("provider", "clipdrop"))
	check(form.WriteField("organization_id", organization))
	check(form.WriteField("extend_left", "16"))
	part, err := form.CreateFormFile("image_file", "photo.jpg")
	check(err)
	data, err := os.ReadFile(photo)
	check(err)
	_, err = part.Write(data)
	check(err)
	check(form.Close())
	// Without a known length, as from a pipe: chunked.
	request, err := http.NewRequest("POST", url, io.MultiReader(&body))
	check(err)
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", form.FormDataContentType())
	request.Header.Set("Expect", "100-continue")
	response, err := http.DefaultClient.Do(request)
	check(err)
	answer, err := io.ReadAll(response.Body)
	check(err)
	check(os.WriteFile(output, answer, 0o600))
	fmt.Println(response.StatusCode)
}
