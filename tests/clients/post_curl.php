<?php
// Posts a photo by PHP's curl.
// usage: php post_curl.php URL KEY ORGANIZATION PHOTO OUTPUT   prints the status
[, $url, $key, $organization, $photo, $output] = $argv;
$request = curl_init($url);
curl_setopt_array($request, [
    CURLOPT_POSTFIELDS => [
        'provider' => 'clipdrop',
        'organization_id' => $organization,
        'extend_left' => '16',
        'image_file' => new CURLFile($photo),
    ],
    CURLOPT_HTTPHEADER => ["X-API-Key: $key"],
    CURLOPT_RETURNTRANSFER => true,
]);
file_put_contents($output, curl_exec($request));
echo curl_getinfo($request, CURLINFO_RESPONSE_CODE), "\n";
