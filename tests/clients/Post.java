// Posts a photo by java.net.http.HttpClient with its defaults, which ask for an upgrade to HTTP/2.
// usage: java Post.java URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

public class Post {
    static final String BOUNDARY = "java-boundary";

    static void part(ByteArrayOutputStream body, String head, byte[] value) throws Exception {
        body.write(("--" + BOUNDARY + "\r\nContent-Disposition: form-data; name=" + head + "\r\n\r\n").getBytes(StandardCharsets.UTF_8));
        body.write(value);
        body.write("\r\n".getBytes(StandardCharsets.UTF_8));
    }

    public static void main(String[] arguments) throws Exception {
        var body = new ByteArrayOutputStream();
        part(body, "\"provider\"", "clipdrop".getBytes(StandardCharsets.UTF_8));
        part(body, "\"organization_id\"", arguments[2].getBytes(StandardCharsets.UTF_8));
        part(body, "\"extend_left\"", "16".getBytes(StandardCharsets.UTF_8));
        part(body, "\"image_file\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg", Files.readAllBytes(Path.of(arguments[3])));
        body.write(("--" + BOUNDARY + "--\r\n").getBytes(StandardCharsets.UTF_8));
        var request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .header("X-API-Key", arguments[1])
            .header("Content-Type", "multipart/form-data; boundary=" + BOUNDARY)
            .POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray()))
            .build();
        var client = HttpClient.newHttpClient();
        HttpResponse<byte[]> response = null;
        // The second goes over the connection that the first has opened.
        for (int number = 0; number < 2; number++) {
            response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
        }
        Files.write(Path.of(arguments[4]), response.body());
        System.out.println(response.statusCode());
    }
}
