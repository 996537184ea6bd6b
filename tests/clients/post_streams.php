<?php
// Posts a photo by PHP's own streams, which speak HTTP/1.0 or, as here, 1.1 with "Connection: close".
// usage: php post_streams.php URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
[, $url, $key, $organization, $photo, $output] = $argv;
$boundary = '--------------------------php';
$body = '';
foreach (['provider' => 'clipdrop', 'organization_id' => $organization, 'extend_left' => '16'] as $name => $value) {
    $body .= "--$boundary\r\nContent-Disposition: form-data; name=\"$name\"\r\n\r\n$value\r\n";
}
$body .= "--$boundary\r\nContent-Disposition: form-data; name=\"image_file\"; filename=\"photo.jpg\"\r\n"
    . "Content-Type: image/jpeg\r\n\r\n" . file_get_contents($photo) . "\r\n--$boundary--\r\n";
$context = stream_context_create(['http' => [
    'method' => 'POST',
    'header' => ["X-API-Key: $key", "Content-Type: multipart/form-data; boundary=$boundary"],
    'content' => $body,
    'protocol_version' => $argv[6] ?? 1.1,
    'ignore_errors' => true,
]]);
file_put_contents($output, file_get_contents($url, false, $context));
echo explode(' ', $http_response_header[0])[1], "\n";
